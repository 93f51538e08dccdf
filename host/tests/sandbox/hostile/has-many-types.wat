;; Defines ten thousand and one types.
;; ends: refused module_compile_limit definitions
;; === component
(component (;repeat 10001;)(type u8)(;end;))
