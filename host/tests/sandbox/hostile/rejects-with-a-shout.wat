;; A reason whose code is not one that programs group by.
;; ends: parked guest_output_invalid
;; says: snake_case
;; === items
(data (i32.const 2000) "Oh no!")
;; === body
(call $say (i32.const 2) (i32.const 2000) (i32.const 6))
