(script_element (start_tag (attribute (attribute_name) @_src (quoted_attribute_value (attribute_value) @import)))
  (#eq? @_src "src"))

((script_element
  (start_tag (attribute (attribute_name) @_lang (quoted_attribute_value (attribute_value) @_value)))
  (raw_text) @embedded.typescript)
  (#eq? @_lang "lang")
  (#any-of? @_value "ts" "tsx" "typescript"))
; Data and templates have a type of their own.
((script_element
  (start_tag (attribute (attribute_name) @_type (quoted_attribute_value (attribute_value) @_value)))
  (raw_text) @embedded.javascript)
  (#eq? @_type "type")
  (#any-of? @_value "module" "text/javascript" "application/javascript"))
((script_element (start_tag) @_tag (raw_text) @embedded.javascript) (#not-match? @_tag "type|lang"))
(style_element (raw_text) @embedded.css)
