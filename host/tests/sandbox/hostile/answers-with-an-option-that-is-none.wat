;; A reason whose field is neither there nor absent.
;; ends: parked guest_trap
;; === body
(drop (call $say (i32.const 1) (i32.const 100) (i32.const 4)))
(i32.store8 (i32.const 1044) (i32.const 9))
(i32.const 1024)
