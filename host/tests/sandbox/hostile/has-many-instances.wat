;; Makes seventeen instances of one module.
;; ends: refused module_compile_limit instances
;; === component
(component (core module $m) (;repeat 17;)(core instance (instantiate $m))(;end;))
