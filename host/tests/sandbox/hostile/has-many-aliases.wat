;; Takes one export out of an instance ten thousand and one times.
;; ends: refused module_compile_limit definitions
;; === component
(component (core module $m (memory (export "m") 1)) (core instance $i (instantiate $m)) (;repeat 10001;)(alias core export $i "m" (core memory))(;end;))
