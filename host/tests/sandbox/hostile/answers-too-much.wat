;; Emits one bill of a little over eight megabytes.
;; ends: parked guest_output_too_large output_limit_bytes
;; === body
(drop (memory.grow (i32.const 200)))
(memory.fill (i32.const 65536) (i32.const 49) (i32.const 8388609))
(call $emit (local.get $key) (local.get $key_len) (i32.const 65536) (i32.const 8388608))
