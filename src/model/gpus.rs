//! How fast the memory of a GPU is, from its name: no driver tells, and writing a token costs one pass over the weights.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What is only in the names of GPUs for laptops ("with Max-Q Design").
const MOBILE: [&str; 3] = ["laptop", "mobile", "q"];

/// A name's words, and bytes a second.
static KNOWN: LazyLock<Vec<(Vec<String>, u64)>> = LazyLock::new(|| {
    let makers: BTreeMap<String, BTreeMap<String, u64>> = toml::from_str(include_str!("gpus.toml")).unwrap_or_default();
    makers.into_values().flatten().map(|(name, gigabytes)| (words(&name), gigabytes * 1_000_000_000)).collect()
});

/// Bytes a second that the memory of a GPU gives, by its description; `None` for one that the table does not know.
pub fn bandwidth(description: &str) -> Option<u64> {
    let described = words(description);
    let mobile = |words: &[String]| words.iter().any(|word| MOBILE.contains(&word.as_str()));
    let names =
        |name: &[String]| described.windows(name.len()).any(|run| run == name) && (mobile(name) || !mobile(&described));
    let known = KNOWN.iter().filter(|(name, _)| names(name));
    known.max_by_key(|(name, _)| name.len()).map(|(_, bandwidth)| *bandwidth)
}

/// In small letters, without punctuation and trade marks.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("(r)", " ").replace("(tm)", " ");
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert!(KNOWN.len() > 100);
        assert!(KNOWN.iter().all(|(name, bandwidth)| !name.is_empty() && (50e9..10e12).contains(&(*bandwidth as f64))));
    }

    #[test]
    fn cards_are_known_by_what_drivers_call_them() {
        for (description, gigabytes) in [
            ("NVIDIA GeForce RTX 4070", 504),
            ("NVIDIA GeForce RTX 4070 Ti", 504),
            ("NVIDIA GeForce RTX 4070 Ti SUPER", 672),
            ("NVIDIA GeForce RTX 4070 Laptop GPU", 256),
            ("NVIDIA GeForce RTX 2080 Super", 496),
            ("NVIDIA GeForce RTX 3060 (NVK GA106)", 360),
            ("NVIDIA A100-PCIE-40GB", 1555),
            ("NVIDIA A100-SXM4-80GB", 2039),
            ("NVIDIA A10G", 600),
            ("NVIDIA H100 80GB HBM3", 3350),
            ("NVIDIA RTX 4000 SFF Ada Generation", 280),
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 1597),
            ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", 1792),
            ("Tesla T4", 320),
            ("AMD Radeon RX 7900 XTX (RADV NAVI31)", 960),
            ("AMD Radeon RX 7900 XT", 800),
            ("AMD Radeon RX 6800/6800 XT / 6900 XT (RADV NAVI21)", 512),
            ("Radeon 8060S Graphics (RADV STRIX_HALO)", 256),
            ("AMD Radeon Graphics (RADV GFX1151)", 256),
            ("Intel(R) Arc(TM) A770 Graphics (DG2)", 560),
            ("Apple M3", 100),
            ("Apple M3 Max", 300),
        ] {
            assert_eq!(bandwidth(description), Some(gigabytes * 1_000_000_000), "{description}");
        }
    }

    #[test]
    fn others_are_not_taken_for_them() {
        for description in [
            "",
            "NVIDIA A1000",
            "NVIDIA RTX A5000 Laptop GPU",
            "NVIDIA GeForce RTX 2080 with Max-Q Design",
            "AMD Radeon RX 6800M",
            "AMD Radeon Graphics (RADV RENOIR)",
            "Intel(R) Iris(R) Xe Graphics",
            "Apple M10",
            "llvmpipe",
        ] {
            assert_eq!(bandwidth(description), None, "{description}");
        }
    }
}
