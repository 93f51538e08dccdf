;; Makes seventeen instances of one component.
;; ends: refused module_compile_limit instances
;; === component
(component (component $c) (;repeat 17;)(instance (instantiate $c))(;end;))
