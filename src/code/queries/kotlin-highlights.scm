; What is coloured in Kotlin, whose grammar brings no query of its own.

[(line_comment) (block_comment)] @comment
[(string_literal) (multiline_string_literal) (character_literal)] @string
[(number_literal) (float_literal)] @number
(function_declaration name: (identifier) @function)
(call_expression (identifier) @function)
(user_type (identifier) @type)
(class_declaration name: (identifier) @type)
(object_declaration name: (identifier) @type)
(annotation) @attribute
["fun" "val" "var" "class" "interface" "object" "if" "else" "when" "for" "while" "do" "return" "try" "catch" "finally"
 "throw" "in" "is" "as" "import" "package" "by" "typealias"] @keyword
[(visibility_modifier) (inheritance_modifier) (member_modifier) (class_modifier) (function_modifier)] @keyword
