//! Small templates, one for each wire form, as the families' own write calls.

/// A name for messages, and the template: the form that is to be found, and what an assistant's calls are.
const FORMS: &[(&str, &str)] = &[
    (
        "hermes",
        "{% for c in calls %}\n<tool_call>\n{\"name\": \"{{ c.name }}\", \"arguments\": {{ c.arguments|tojson }}}\n</tool_call>{% endfor %}",
    ),
    (
        "qwen-xml",
        "{% for c in calls %}\n<tool_call>\n<function={{ c.name }}>\n{% for k, v in c.arguments.items() %}<parameter={{ k }}>\n{{ v if v is string else (v|tojson if v is sequence else v|string) }}\n</parameter>\n{% endfor %}</function>\n</tool_call>{% endfor %}",
    ),
    (
        "seed",
        "{% for c in calls %}\n<seed:tool_call>\n<function={{ c.name }}>\n{% for k, v in c.arguments.items() %}<parameter={{ k }}>{{ v|string }}</parameter>\n{% endfor %}</function>\n</seed:tool_call>{% endfor %}",
    ),
    (
        "glm",
        "{% for c in calls %}\n<tool_call>{{ c.name }}\n{% for k, v in c.arguments.items() %}<arg_key>{{ k }}</arg_key>\n<arg_value>{{ v if v is string else v|tojson }}</arg_value>\n{% endfor %}</tool_call>{% endfor %}",
    ),
    (
        "glm",
        "{% for c in calls %}<tool_call>{{ c.name }}{% for k, v in c.arguments.items() %}<arg_key>{{ k }}</arg_key><arg_value>{{ v if v is string else v|tojson }}</arg_value>{% endfor %}</tool_call>{% endfor %}",
    ),
    (
        "minimax",
        "\n<minimax:tool_call>\n{% for c in calls %}<invoke name=\"{{ c.name }}\">\n{% for k, v in c.arguments.items() %}<parameter name=\"{{ k }}\">{{ v if v is string else v|tojson }}</parameter>\n{% endfor %}</invoke>\n{% endfor %}</minimax:tool_call>",
    ),
    (
        "dsml",
        "\n\n<｜DSML｜function_calls>\n{% for c in calls %}<｜DSML｜invoke name=\"{{ c.name }}\">\n{% for k, v in c.arguments.items() %}<｜DSML｜parameter name=\"{{ k }}\" string=\"{{ 'true' if v is string else 'false' }}\">{{ v if v is string else v|tojson }}</｜DSML｜parameter>\n{% endfor %}</｜DSML｜invoke>\n{% endfor %}</｜DSML｜function_calls>",
    ),
    (
        "dsml-v4",
        "\n\n<｜DSML｜tool_calls>\n{% for c in calls %}<｜DSML｜invoke name=\"{{ c.name }}\">\n{% for k, v in c.arguments.items() %}<｜DSML｜parameter name=\"{{ k }}\" string=\"{{ 'true' if v is string else 'false' }}\">{{ v if v is string else v|tojson }}</｜DSML｜parameter>\n{% endfor %}</｜DSML｜invoke>\n{% endfor %}</｜DSML｜tool_calls>",
    ),
    (
        "deepseek-v3.1",
        "<｜tool▁calls▁begin｜>{% for c in calls %}<｜tool▁call▁begin｜>{{ c.name }}<｜tool▁sep｜>{{ c.arguments|tojson }}<｜tool▁call▁end｜>{% endfor %}<｜tool▁calls▁end｜>",
    ),
    (
        "deepseek-r1",
        "<｜tool▁calls▁begin｜>{% for c in calls %}<｜tool▁call▁begin｜>function<｜tool▁sep｜>{{ c.name }}\n```json\n{{ c.arguments|tojson }}\n```<｜tool▁call▁end｜>{% endfor %}<｜tool▁calls▁end｜>",
    ),
    (
        "kimi",
        "<|tool_calls_section_begin|>{% for c in calls %}<|tool_call_begin|>functions.{{ c.name }}:{{ loop.index0 }}<|tool_call_argument_begin|>{{ c.arguments|tojson }}<|tool_call_end|>{% endfor %}<|tool_calls_section_end|>",
    ),
    (
        "kimi-k3",
        "<|open|>tools<|sep|>{% for c in calls %}<|open|>call tool=\"{{ c.name }}\" index=\"{{ loop.index }}\"<|sep|>{% for k, v in c.arguments.items() %}<|open|>argument key=\"{{ k }}\" type=\"{% if v is string %}string{% elif v is boolean %}boolean{% elif v is number %}number{% else %}array{% endif %}\"<|sep|>{{ v if v is string else v|tojson }}<|close|>argument<|sep|>{% endfor %}<|close|>call<|sep|>{% endfor %}<|close|>tools<|sep|>",
    ),
    (
        "olmo",
        "<function_calls>{% for c in calls %}{{ c.name }}({% for k, v in c.arguments.items() %}{{ k }}={{ v|tojson }}{{ '' if loop.last else ', ' }}{% endfor %}){{ '' if loop.last else '\n' }}{% endfor %}</function_calls>",
    ),
    (
        "gemma",
        "{% macro value(v) %}{% if v is string %}<|\"|>{{ v }}<|\"|>{% elif v is sequence %}[{% for x in v %}{{ value(x) }}{{ '' if loop.last else ',' }}{% endfor %}]{% else %}{{ v|tojson }}{% endif %}{% endmacro %}{% for c in calls %}<|tool_call>call:{{ c.name }}{{ '{' }}{% for k, v in c.arguments|dictsort %}{{ k }}:{{ value(v) }}{{ '' if loop.last else ',' }}{% endfor %}{{ '}' }}<tool_call|>{% endfor %}",
    ),
    (
        "granite",
        "<|tool_call|>[{% for c in calls %}{\"name\": \"{{ c.name }}\", \"arguments\": {{ c.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]",
    ),
    ("llama", "{% for c in calls %}{\"name\": \"{{ c.name }}\", \"parameters\": {{ c.arguments|tojson }}}{% endfor %}"),
    ("functionary", "{% for c in calls %}<function={{ c.name }}>{{ c.arguments|tojson }}</function>{% endfor %}"),
    (
        "nemotron",
        "<TOOLCALL>[{% for c in calls %}{\"name\": \"{{ c.name }}\", \"arguments\": {{ c.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]</TOOLCALL>",
    ),
    (
        "action",
        "<|START_ACTION|>[\n{% for c in calls %}    {\"tool_call_id\": \"{{ loop.index0 }}\", \"tool_name\": \"{{ c.name }}\", \"parameters\": {{ c.arguments|tojson }}}{{ '' if loop.last else ',' }}\n{% endfor %}]<|END_ACTION|>",
    ),
    ("mistral", "{% for c in calls %}[TOOL_CALLS]{{ c.name }}[ARGS]{{ c.arguments|tojson }}{% endfor %}"),
    (
        "mistral-list",
        "[TOOL_CALLS][{% for c in calls %}{\"name\": \"{{ c.name }}\", \"arguments\": {{ c.arguments|tojson }}, \"id\": \"abcdefghi\"}{{ '' if loop.last else ', ' }}{% endfor %}]",
    ),
    (
        "probed",
        "<tools-used>{% for c in calls %}<<do {{ c.name }} with {{ c.arguments|tojson }} done>>{% endfor %}</tools-used>",
    ),
    (
        "probed",
        "\n{% for c in calls %}<act tool='{{ c.name }}'>\n{% for k, v in c.arguments.items() %}<set name='{{ k }}'>{{ v if v is string else v|tojson }}</set>\n{% endfor %}</act>\n{% endfor %}",
    ),
    (
        "probed",
        "<calls>[{% for c in calls %}{\"call\": \"{{ c.name }}\", \"arguments\": {{ c.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]</calls>",
    ),
    (
        "llama",
        "[{% for c in calls %}{\"name\": \"{{ c.name }}\", \"parameters\": {{ c.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]",
    ),
    (
        "granite",
        "<|tool_call|>[{% for c in calls %}{\"name\": \"{{ c.name }}\", \"arguments\": {{ c.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]<|/tool_call|>",
    ),
    (
        "probed",
        "<|begin_calls|>{% for c in calls %}<|call:begin|>{{ m.tool_calls[loop.index0].id }}<|call:name|>{{ c.name }}<|call:args|>{{ c.arguments|tojson }}<|call:end|>{% endfor %}",
    ),
    (
        "probed",
        "\n{% for c in calls %}<xcat_call>{{ c.name }}\n{% for k, v in c.arguments.items() %}<xcat_key>{{ k }}</xcat_key>\n<xcat_value>{{ v if v is string else v|tojson }}</xcat_value>\n{% endfor %}</xcat_call>\n{% endfor %}",
    ),
    (
        "probed",
        " functools[{% for c in calls %}{\"name\": \"{{ c.name }}\", \"arguments\": {{ c.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]",
    ),
    (
        "probed",
        "<|tools_prefix|>[{% for c in calls %}{\"{{ c.name }}\": {{ c.arguments|tojson }}}{{ '' if loop.last else ', ' }}{% endfor %}]<|tools_suffix|>",
    ),
    // MiniMax M3: a token before every tag, tags of the arguments' names, lists in tags too.
    (
        "probed",
        "{% macro value(v) %}{% if v is string %}{{ v }}{% elif v is sequence %}{% for x in v %}]<]minimax[>[<item>{{ value(x) }}]<]minimax[>[</item>{% endfor %}{% else %}{{ v|tojson }}{% endif %}{% endmacro %}]<]minimax[>[<tool_call>\n{% for c in calls %}]<]minimax[>[<invoke name=\"{{ c.name }}\">{% for k, v in c.arguments.items() %}]<]minimax[>[<{{ k }}>{{ value(v) }}]<]minimax[>[</{{ k }}>{% endfor %}]<]minimax[>[</invoke>\n{% endfor %}]<]minimax[>[</tool_call>",
    ),
    (
        "probed",
        "{% for c in calls %}\n<use tool=\"{{ c.name }}\">\n{% for k, v in c.arguments.items() %}<{{ k }}>{{ v if v is string else v|tojson }}</{{ k }}>\n{% endfor %}</use>{% endfor %}",
    ),
    // MiniCPM 5.
    (
        "probed",
        "{% for c in calls %}<function name=\"{{ c.name }}\">{% for k, v in c.arguments.items() %}<param name=\"{{ k }}\">{% if v is string and ('<' in v or '\n' in v) %}<![CDATA[{{ v }}]]>{% else %}{{ v if v is string else v|tojson }}{% endif %}</param>{% endfor %}</function>\n{% endfor %}",
    ),
    // Marks that begin as those of a plain answer do.
    ("probed", "{% for c in calls %}<|im_call|>{{ c.name }}<|im_args|>{{ c.arguments|tojson }}<|im_done|>{% endfor %}"),
];

/// A template whose assistant writes `calls`.
fn chatml(calls: &str) -> String {
    let (macros, calls) = calls.split_once("{% endmacro %}").map_or(("", calls), |(head, rest)| (head, rest));
    let macros = if macros.is_empty() { String::new() } else { format!("{macros}{{% endmacro %}}") };
    format!(
        "{macros}{{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\n{{{{ m.content }}}}{{% if m.tool_calls %}}{{% set calls = m.tool_calls|map(attribute='function')|list %}}{calls}{{% endif %}}<|im_end|>\n{{% endfor %}}{{{{ '<|im_start|>assistant\n' }}}}"
    )
}

/// gpt-oss, whose messages are framed in their own way.
const HARMONY: &str = "{% for m in messages %}{% if m.tool_calls %}<|start|>assistant to=functions.{{ m.tool_calls[0].function.name }}<|channel|>commentary json<|message|>{{ m.tool_calls[0].function.arguments|tojson }}<|call|>{% elif m.role == 'assistant' %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}<|start|>assistant";
/// LFM2.5, which shows the tools but no calls.
const LFM: &str = "{% if tools %}<|im_start|>system\nList of tools: {{ tools|tojson }}<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\n' }}";

/// Each form's name and a template of it.
pub fn all() -> Vec<(&'static str, String)> {
    let mut all: Vec<_> = FORMS.iter().map(|(name, calls)| (*name, chatml(calls))).collect();
    all.push(("harmony", HARMONY.to_owned()));
    all.push(("lfm", LFM.to_owned()));
    all
}
