//! The reference prompts of many families are checked in `tests/dialect`; here are the parts that they do not reach.

use serde_json::{Value, json};

use super::*;

fn render(source: &str, extra: Value) -> Result<String, DialectError> {
    let options = RenderOptions {
        extra: extra.as_object().cloned().unwrap_or_default(),
        now: Some(jiff::civil::date(2026, 11, 4).at(9, 5, 7, 1_000)),
        ..RenderOptions::default()
    };
    Template::new(source)?.render_json(&[], None, &options)
}

fn check(source: &str, extra: Value, expected: &str) {
    assert_eq!(render(source, extra).unwrap_or_else(|e| e.to_string()), expected, "{source}");
}

#[test]
fn values_print_as_python_prints_them() {
    let v = json!({"v": [true, null, 1, 1.0, 1e16, 1e-5, 123456789012345680.0, "a'b", "c\n", {"k": [1]}], "none": null, "f": 2.50});
    check(
        "{{ v }}",
        v.clone(),
        r#"[True, None, 1, 1.0, 1e+16, 1e-05, 1.2345678901234568e+17, "a'b", 'c\n', {'k': [1]}]"#,
    );
    check("{{ none }} {{ none ~ '' }} {{ true ~ 'x' }} {{ f ~ '' }}", v, "None None Truex 2.5");
    check("{{ ('a',) }} {{ (1, 'b') }} {{ undefined_name }}", json!({}), "('a',) (1, 'b') ");
    check("{{ 7 // 2 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ 2 ** 3 }}", json!({}), "3 3.5 -4 1 8");
    check(
        "{{ 'x' is sequence }} {{ {} is sequence }} {{ 1 is sequence }} {{ 'x' is iterable }}",
        json!({}),
        "True True False True",
    );
}

#[test]
fn json_is_written_as_python_writes_it() {
    let v = json!({"v": {"b": [1, 2.0, 1e22], "a": "é\u{7f}\u{1}\"\\/", "e": {}, "l": [], "t": true, "n": null}});
    check(
        "{{ v|tojson }}",
        v.clone(),
        "{\"b\": [1, 2.0, 1e+22], \"a\": \"é\u{7f}\\u0001\\\"\\\\/\", \"e\": {}, \"l\": [], \"t\": true, \"n\": null}",
    );
    check("{{ v.a|tojson(true) }}", v, r#""\u00e9\u007f\u0001\"\\/""#);
    check("{{ '😀'|tojson(ensure_ascii=True) }}", json!({}), r#""\ud83d\ude00""#);
    check(
        "{{ {'b': [1, {}], 'a': 2}|tojson(indent=2) }}",
        json!({}),
        "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": 2\n}",
    );
    check(
        "{{ {'b': 1, 'a': [1, 2]}|tojson(separators=(',', ':'), sort_keys=true) }}",
        json!({}),
        r#"{"a":[1,2],"b":1}"#,
    );
    check("{{ {1: 2, none: 3}|tojson }}", json!({}), r#"{"1": 2, "null": 3}"#);
    assert!(render("{{ nothing|tojson }}", json!({})).is_err());
}

#[test]
fn methods_of_python() {
    check(
        "{{ ' a b  c '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', maxsplit=1) }}",
        json!({}),
        "['a', 'b', 'c'] ['a', 'b,c'] ['a,b', 'c']",
    );
    check("{{ 'xay'.removeprefix('x').removesuffix('y') }} {{ 'k=v=w'.partition('=')[2] }}", json!({}), "a v=w");
    check("{{ 'a\r\nb\n'.splitlines() }} {{ '7'.zfill(3) }} {{ 'ab'.rjust(4) }}", json!({}), "['a', 'b'] 007   ab");
    check(
        "{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}{{ v }}{% endfor %} {{ {'a': 1}.get('b', 5) }}",
        json!({}),
        "b1a2 5",
    );
    check(
        "{% set l = [] %}{% set _ = l.append(1) %}{% set _ = l.append([2]) %}{{ l }}{{ l|length }}{{ l.pop(0) }}{{ l }}{{ [[1]][0][0] }}",
        json!({}),
        "[1, [2]]21[[2]]1",
    );
    check(
        "{% set ns = namespace(x=[]) %}{% for i in range(3) %}{% set _ = ns.x.append(i) %}{% endfor %}{{ ns.x[-1] }}{{ ns.x[1:] }}{% if [] %}!{% endif %}",
        json!({}),
        "2[1, 2]",
    );
}

#[test]
fn names_that_transformers_adds() {
    check("{{ strftime_now('%d %b %Y %H:%M:%S.%f %A %-d') }}", json!({}), "04 Nov 2026 09:05:07.000001 Wednesday 4");
    check("a\n  {% generation %}\n b{% set x = 1 %}\n  {%- endgeneration %}{{ x }}\n", json!({}), "a\n b");
    check(
        "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
        json!({}),
        "02",
    );
    let error = render("{{ raise_exception('Only user and assistant roles!') }}", json!({})).unwrap_err();
    assert!(matches!(&error, DialectError::Refused(m) if m == "Only user and assistant roles!"), "{error}");
}

#[test]
fn concatenation_binds_as_in_jinja() {
    // 1 + "23": the operator binds more than `+`.
    assert!(render("{{ 1 + 2 ~ 3 }}", json!({})).is_err());
    check("{{ 'a' ~ 2 * 3 ~ -1 }} {{ 'x' ~ {'a': ['b' ~ 1]}.a[0]|upper ~ (1, 2) }}", json!({}), "a6-1 xB1(1, 2)");
    check("{%- set x = 'a' ~ 1 if true else 'b' ~ 2 -%} {{- x ~ none ~ 1.5e300 -}} !", json!({}), "a1None1.5e+300!");
    check("{% if not 'a' ~ 'b' == 'ab' or 'x' in 'x' ~ 'y' and 1 is not none %}yes{% endif %}", json!({}), "yes");
    check("{% for c in 'a' ~ 'b' %}{{ c ~ loop.index ~ nothing }},{% endfor %}", json!({}), "a1,b2,");
    check(
        "{% macro f(a, b='x' ~ 1) %}{{ a ~ b }}{% endmacro %}{{ f('p' ~ 'q', b='r' ~ 's') }}{{ f('-') }}",
        json!({}),
        "pqrs-x1",
    );
}

#[test]
fn a_rewritten_template_keeps_its_strings_comments_and_raw_text() {
    let source = "{# [ #}{% raw %}{{ [1] }}{% endraw %}{{ '[' }}{{ \"]\\\"[\" }}{{ x[0] }}{% set _ = [].append(1) %}{{ {'a': {}} }}";
    check(source, json!({"x": [1]}), "{{ [1] }}[]\"[1{'a': {}}");
}

#[test]
fn a_malicious_template_ends_with_an_error() {
    let hostile = [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
        "{{ 'x' * 9999999999 }}",
        "{{ ('x' * 99999999)|tojson }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{{ f([n]) }}{% endmacro %}{{ f(1) }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
        "{% set l = [1] %}{% for i in range(99) %}{% set _ = l.append(l) %}{% endfor %}{{ l }}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns|tojson }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x ~ '' }}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns ~ '' }}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ [ns]|join }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|upper }}{{ ','.join(ns.x) }}",
        "{{ (['x' * 999999] * 999999) ~ '' }}",
        "{{ 'a'.center(99999999999) }}",
        "{{ (range(99999)|list|string * 99)|length }}{% include 'chat' %}",
        "{% include 'chat' %}",
    ];
    for source in hostile {
        let result = render(source, json!({}));
        assert!(result.is_err(), "{source}: {} bytes", result.unwrap_or_default().len());
    }
    assert!(Template::new(&"(".repeat(100_000)).is_ok(), "text is no expression");
    assert!(Template::new(&format!("{{{{ {} }}}}", "(".repeat(100_000))).is_err());
    assert!(Template::new(&format!("{{{{ {} ~ 1 }}}}", "([{".repeat(100_000))).is_err());
    assert!(Template::new(&"{% if x %}".repeat(100_000)).is_err());
    assert!(Template::new(&"x".repeat(MAX_SOURCE + 1)).is_err());
}

#[test]
fn deeply_nested_values_end_without_a_crash() {
    let result = render(
        "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% for j in range(9) %}{% set ns.x = [ns.x] %}{% endfor %}{% endfor %}done",
        json!({}),
    );
    assert!(result.is_err() || result.is_ok_and(|text| text == "done"));
}

proptest::proptest! {
    /// Whatever a model file brings as its template, it ends: with a text or with an error.
    #[test]
    fn any_template_ends(parts in proptest::collection::vec(proptest::sample::select(vec![
        "{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "{# ", " #}", "for x in messages", "endfor", "if x", "endif", "set y = ", "macro f(a)",
        "endmacro", "f(", ")", "[", "]", "{", "}", "'a'", "\"", "~", "|tojson", "|join", ".append(", "namespace(", "x", "y", "raw", "endraw",
        "generation", "endgeneration", "is", "not", "in", "-", "+", "1", ",", "=", "\n", "é", "\\",
    ]), 0..24)) {
        let source = parts.join(if parts.len() % 2 == 0 { "" } else { " " });
        let _ = render(&source, json!({"x": [1, "two"]}));
    }
}
