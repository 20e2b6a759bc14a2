(class_selector (class_name) @name) @definition.selector
(id_selector (id_name) @name) @definition.selector
(keyframes_statement (keyframes_name) @name) @definition.selector
