;; Twelve thousand functions of slow arithmetic, against a compiler that is given a second.
;; ends: refused module_compile_limit child_cpu_s
;; set: standard.child_cpu_s = 1
;; === items
(;repeat 12000;)(func (param i32) (result i32) (local.get 0) (i32.const 3) (i32.mul) (i32.const 5) (i32.rotl) (i32.const 7) (i32.rem_u) (i32.const 9) (i32.xor) (i32.const 11) (i32.div_u) (i32.const 13) (i32.add) (i32.const 3) (i32.mul) (i32.const 5) (i32.rotl) (i32.const 7) (i32.rem_u) (i32.const 9) (i32.xor) (i32.const 11) (i32.div_u) (i32.const 13) (i32.add))(;end;)
