//! Takes secrets out of text: what has the form of a key or token of a known service, private keys, passwords in URLs, and
//! values that a name calls a secret. The forms are those that the services publish.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

const MARK: &str = "[REDACTED]";

/// Each takes out what its group `s` matches.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let forms = [
        // Private keys, also where the end is cut off.
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?P<s>.+?)(?:-----END|\z)",
        // Amazon, Google, GitHub, GitLab, Slack, Stripe, OpenAI and Anthropic, Hugging Face, npm, PyPI, SendGrid, DigitalOcean.
        r"\b(?P<s>(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16})\b",
        r"\b(?P<s>AIza[0-9A-Za-z_-]{35})",
        r"\b(?P<s>ya29\.[0-9A-Za-z_-]{20,})",
        r"\b(?P<s>gh[pousr]_[0-9A-Za-z]{30,}|github_pat_[0-9A-Za-z_]{50,})",
        r"\b(?P<s>gl(?:pat|dt|rt|cbt|ptt)-[0-9A-Za-z_-]{20,})",
        r"\b(?P<s>xox[abeoprs]-[0-9A-Za-z-]{10,})",
        r"hooks\.slack\.com/services/(?P<s>[0-9A-Za-z/]{30,})",
        r"\b(?P<s>(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{16,})",
        r"\b(?P<s>sk-[0-9A-Za-z_-]{20,})",
        r"\b(?P<s>hf_[0-9A-Za-z]{30,})",
        r"\b(?P<s>npm_[0-9A-Za-z]{36})",
        r"\b(?P<s>pypi-[0-9A-Za-z_-]{50,})",
        r"\b(?P<s>SG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,})",
        r"\b(?P<s>do[opr]_v1_[0-9a-f]{64})",
        // JSON Web Tokens.
        r"\b(?P<s>eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,})",
        // The password of a URL, what an HTTP header authorises with.
        r"\b[a-z][a-z0-9+.-]*://[^\s:/@]*:(?P<s>[^\s:/@]{3,})@",
        r"(?i)\b(?:bearer|basic)\s+(?P<s>[0-9A-Za-z+/=_.~-]{16,})",
        // A literal that is given to a name of a secret. What reads like a call, a path or a placeholder stays.
        r#"(?i)\b[\w.-]*(?:api_?key|apikey|api-key|secret|token|passwd|password|private_?key|credential)[\w.-]*["']?\s*(?:=>|:=|[:=])\s*["'](?P<s>[^"'\s<>{}$()]{8,})["']"#,
        // The same in an environment file, also with numbered lines or in a diff.
        r"(?m)(?:^|[\s|+-])(?:export\s+)?[A-Z0-9_]*(?:API_?KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?)[A-Z0-9_]*=(?P<s>[^\s<>{}$()\[\]]{8,})(?:\s|$)",
    ];
    // All are tested to compile.
    forms.iter().filter_map(|form| Regex::new(form).ok()).collect()
});

/// The text without secrets, and how many were found.
pub fn redact(text: &str) -> (String, usize) {
    let mut found = 0;
    let mut clean = Cow::Borrowed(text);
    for form in FORMS.iter() {
        let replaced = form.replace_all(&clean, |captures: &Captures<'_>| {
            let whole = &captures[0];
            let (Some(all), Some(secret)) = (captures.get(0), captures.name("s")) else { return whole.to_owned() };
            if secret.as_str().trim() == MARK {
                return whole.to_owned();
            }
            found += 1;
            // What stands around it may be the same text: a user's name, for example.
            let (begin, end) = (secret.start() - all.start(), secret.end() - all.start());
            format!("{}{MARK}{}", &whole[..begin], &whole[end..])
        });
        if let Cow::Owned(replaced) = replaced {
            clean = Cow::Owned(replaced);
        }
    }
    (clean.into_owned(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_goes() {
        let secrets = [
            ("aws = AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
            ("git clone https://me:hunter22@example.com/x", "hunter22"),
            ("db = 'postgres://app:s3cr3tpw@db:5432/app'", "s3cr3tpw"),
            ("Authorization: Bearer abcdefghijklmnop1234", "abcdefghijklmnop1234"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----", "MIIEow"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZX", "b3BlbnNzaC1rZX"),
            ("api_key = \"0f9a8b7c6d5e4f3a\"", "0f9a8b7c6d5e4f3a"),
            ("{\"clientSecret\": \"Zm9vYmFyYmF6\"}", "Zm9vYmFyYmF6"),
            ("export DB_PASSWORD=correct-horse\nx=1", "correct-horse"),
            (concat!("sk-", "abcdefghijklmnopqrstuvwx"), "abcdefghijkl"),
            ("3|DB_PASSWORD=correct-horse\n", "correct-horse"),
            ("+DB_PASSWORD=correct-horse\r\n", "correct-horse"),
            ("postgres://postgres:postgres@db", ":postgres"),
            ("PASSWORD=PASSWORD", "=PASSWORD"),
            ("key xoxb-1234567890-abcdefghij", "xoxb-1234567890"),
        ];
        for (text, secret) in secrets {
            let (clean, found) = redact(text);
            assert_eq!(found, 1, "{text}: {clean}");
            assert!(!clean.contains(secret), "{text}: {clean}");
            assert_eq!(redact(&clean), (clean.clone(), 0));
        }
    }

    #[test]
    fn code_stays() {
        let code = [
            "token = self.next_token()",
            "let secret = env::var(\"SECRET_NAME\")?;",
            "password: str = Field(default=None)",
            "if token == \"identifier\":",
            "token=\"<your token>\"",
            "PASSWORD=${DB_PASSWORD}",
            "def is_valid(password): return len(password) > 8",
            "https://example.com:8080/path@2x.png",
            "skip-this-word-and-the-one-after-that",
        ];
        for text in code {
            assert_eq!(redact(text), (text.to_owned(), 0));
        }
    }

    #[test]
    fn all_forms_compile_and_name_the_secret() {
        assert_eq!(FORMS.len(), 20);
        assert!(FORMS.iter().all(|form| form.capture_names().flatten().any(|name| name == "s")));
    }
}
