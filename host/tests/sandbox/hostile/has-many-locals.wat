;; Has a function of two thousand locals, which cost by the square.
;; ends: refused module_compile_limit locals
;; === component
(component (core module (func (;repeat 2000;)(local i32)(;end;) (;repeat 2000;)(if (local.get 0) (then (local.set 1 (i32.const 1))))(;end;))))
