;; Has nine tables.
;; ends: refused module_compile_limit tables
;; === component
(component (core module (;repeat 9;)(table 1 funcref)(;end;)))
