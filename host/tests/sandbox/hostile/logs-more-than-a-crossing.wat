;; Writes one line of ten megabytes.
;; ends: parked guest_output_too_large hostcall_bytes
;; === body
(drop (memory.grow (i32.const 200)))
(memory.fill (i32.const 131072) (i32.const 120) (i32.const 10485760))
(call $log (i32.const 1) (i32.const 131072) (i32.const 10485760)) unreachable
