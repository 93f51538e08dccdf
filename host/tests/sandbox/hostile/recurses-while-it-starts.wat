;; Calls itself without end in its start function.
;; ends: refused guest_stack_overflow stack_limit_bytes
;; === items
(func $r (call $r) (drop (memory.size))) (start $r)
