;; A reason whose code is one byte too long.
;; ends: parked guest_output_invalid
;; === body
(memory.fill (i32.const 2000) (i32.const 97) (i32.const 65))
(call $say (i32.const 2) (i32.const 2000) (i32.const 65))
