;; A list that lies beyond the end of its memory.
;; ends: parked guest_trap
;; === body
(call $emit_list (i32.const 262140) (i32.const 10))
