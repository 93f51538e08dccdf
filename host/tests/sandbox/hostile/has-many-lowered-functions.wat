;; Drops one resource in ten thousand and one ways.
;; ends: refused module_compile_limit definitions
;; === component
(component (type $r (resource (rep i32))) (;repeat 10001;)(core func (canon resource.drop $r))(;end;))
