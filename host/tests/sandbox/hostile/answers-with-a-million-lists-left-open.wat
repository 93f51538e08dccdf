;; A bill that opens lists for a megabyte and closes none.
;; ends: parked guest_output_invalid
;; === body
(drop (memory.grow (i32.const 20)))
(memory.fill (i32.const 131072) (i32.const 91) (i32.const 1000000))
(call $emit (local.get $key) (local.get $key_len) (i32.const 131072) (i32.const 1000000))
