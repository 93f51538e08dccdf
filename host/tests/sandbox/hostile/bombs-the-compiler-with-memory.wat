;; A function that is just small enough and takes the compiler hundreds of megabytes.
;; ends: refused module_compile_limit child_address_space_bytes
;; set: standard.child_address_space_bytes = 268435456
;; === items
(func (param i32) (result i32) (local.get 0) (;repeat 42000;)(i32.const 1) (i32.add)(;end;))
