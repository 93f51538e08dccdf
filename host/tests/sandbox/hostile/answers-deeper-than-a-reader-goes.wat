;; A bill of a thousand nested lists.
;; ends: parked guest_output_invalid
;; === body
(memory.fill (i32.const 131072) (i32.const 91) (i32.const 1000))
(memory.fill (i32.const 132072) (i32.const 93) (i32.const 1000))
(call $emit (local.get $key) (local.get $key_len) (i32.const 131072) (i32.const 2000))
