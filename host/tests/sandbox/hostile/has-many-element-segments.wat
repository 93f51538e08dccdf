;; Has ten thousand and one segments of elements.
;; ends: refused module_compile_limit definitions
;; === component
(component (core module (table 1 funcref) (;repeat 10001;)(elem func)(;end;)))
