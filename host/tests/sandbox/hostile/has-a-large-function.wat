;; Has one function of a hundred thousand additions, a gigabyte for the compiler.
;; ends: refused module_compile_limit body_limit_bytes
;; === component
(component (core module (func (param i32) (result i32) (local.get 0) (;repeat 100000;)(i32.const 1) (i32.add)(;end;))))
