;; Is four megabytes and a little of nothing.
;; ends: refused module_compile_limit component_limit_bytes
;; === component
(component (@custom "pad" "(;repeat 4194304;)x(;end;)"))
