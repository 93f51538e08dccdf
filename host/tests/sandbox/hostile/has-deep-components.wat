;; Has five components in each other.
;; ends: refused module_compile_limit nesting
;; === component
(;repeat 5;)(component (;end;)(;repeat 5;))(;end;)
