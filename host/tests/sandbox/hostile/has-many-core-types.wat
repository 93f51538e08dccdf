;; Defines ten thousand and one types of functions.
;; ends: refused module_compile_limit definitions
;; === component
(component (core module (;repeat 10001;)(type (func))(;end;)))
