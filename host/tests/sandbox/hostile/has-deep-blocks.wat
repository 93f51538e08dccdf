;; Has a function of four thousand blocks in each other.
;; ends: refused module_compile_limit block_depth
;; === component
(component (core module (func (;repeat 4000;)(block (;end;) (;repeat 4000;))(;end;))))
