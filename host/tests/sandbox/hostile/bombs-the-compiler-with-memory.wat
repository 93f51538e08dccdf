;; A function of a hundred thousand additions that wider limits let through: a gigabyte for the compiler.
;; ends: refused module_compile_limit child_address_space_bytes
;; set: standard.body_limit_bytes = 4194304, standard.child_address_space_bytes = 268435456
;; === items
(func (param i32) (result i32) (local.get 0) (;repeat 100000;)(i32.const 1) (i32.add)(;end;))
