;; Asks for the wider limits of an interpreter and is over those as well.
;; ends: refused module_compile_limit block_depth
;; class: interpreter
;; === component
(component (core module (func (;repeat 1001;)(block (;end;) (;repeat 1001;))(;end;))))
