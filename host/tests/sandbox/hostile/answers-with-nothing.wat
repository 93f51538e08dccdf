;; An empty list of bills, which means neither one thing nor the other.
;; ends: parked empty_emit
;; === body
(call $emit_list (i32.const 0) (i32.const 0))
