(script_element (start_tag (attribute (attribute_name) @_src (quoted_attribute_value (attribute_value) @import)))
  (#eq? @_src "src"))

((script_element
  (start_tag (attribute (attribute_name) @_lang
    [(attribute_value) @_value (quoted_attribute_value (attribute_value) @_value)]))
  (raw_text) @embedded.typescript)
  (#eq? @_lang "lang")
  (#any-of? @_value "ts" "tsx" "typescript"))
; Data and templates have a type of their own.
((script_element
  (start_tag (attribute (attribute_name) @_type
    [(attribute_value) @_value (quoted_attribute_value (attribute_value) @_value)]))
  (raw_text) @embedded.javascript)
  (#any-of? @_type "type" "lang")
  (#any-of? @_value "module" "text/javascript" "application/javascript" "js" "jsx" "javascript"))
((script_element (start_tag) @_tag (raw_text) @embedded.javascript) (#not-match? @_tag "\\s(type|lang)\\s*="))
(style_element (raw_text) @embedded.css)
