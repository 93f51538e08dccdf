;; Has ten thousand and one sections of its own.
;; ends: refused module_compile_limit definitions
;; === component
(component (;repeat 10001;)(@custom "x" "")(;end;))
