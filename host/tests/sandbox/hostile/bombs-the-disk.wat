;; Compiles into more than is kept of a module.
;; ends: refused module_compile_limit artefact_limit_bytes
;; set: standard.artefact_limit_bytes = 200000
;; === items
(;repeat 3000;)(func (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 3)))(;end;)
