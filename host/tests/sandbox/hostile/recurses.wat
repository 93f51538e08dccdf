;; Calls itself without end.
;; ends: parked guest_stack_overflow stack_limit_bytes
;; === items
(func $r (call $r) (drop (memory.size)))
;; === body
(call $r) unreachable
