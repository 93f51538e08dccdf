;; A list of four thousand million bills.
;; ends: parked guest_trap
;; === body
(call $emit_list (i32.const 131072) (i32.const -1))
