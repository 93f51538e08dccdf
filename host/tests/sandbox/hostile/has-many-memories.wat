;; Has three modules with a memory each.
;; ends: refused module_compile_limit memories
;; === component
(component (;repeat 3;)(core module (memory 1))(;end;))
