(function_definition declarator: (function_declarator declarator: [
    (identifier) (field_identifier) (destructor_name) (operator_name) (qualified_identifier) (template_function)
  ] @name)) @definition.function
(function_definition declarator: (_ (function_declarator declarator: [
    (identifier) (field_identifier) (operator_name) (qualified_identifier) (template_function)
  ] @name))) @definition.function
(function_definition declarator: (_ (_ (function_declarator declarator: [
    (identifier) (field_identifier) (qualified_identifier)
  ] @name)))) @definition.function
(function_definition declarator: (operator_cast) @name) @definition.function
(class_specifier name: (_) @name body: (_)) @definition.class
(struct_specifier name: (_) @name body: (_)) @definition.struct
(union_specifier name: (_) @name body: (_)) @definition.struct
(enum_specifier name: (_) @name body: (_)) @definition.enum
(namespace_definition name: (_) @name) @definition.module
(concept_definition name: (identifier) @name) @definition.type
(alias_declaration name: (type_identifier) @name) @definition.type
