;; Writes a line that is not UTF-8.
;; ends: parked guest_trap
;; === body
(i32.store16 (i32.const 2000) (i32.const 0xc0c0)) (call $log (i32.const 1) (i32.const 2000) (i32.const 2)) unreachable
