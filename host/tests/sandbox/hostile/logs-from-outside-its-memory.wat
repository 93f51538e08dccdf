;; Writes a line that lies beyond the end of its memory.
;; ends: parked guest_trap
;; === body
(call $log (i32.const 1) (i32.const 262140) (i32.const 100)) unreachable
