;; Two functions call each other through a table without end.
;; ends: parked guest_stack_overflow stack_limit_bytes
;; === items
(type $t (func))
(table 2 funcref) (elem (i32.const 0) $ping $pong)
(func $ping (call_indirect (type $t) (i32.const 1)) (drop (memory.size)))
(func $pong (call_indirect (type $t) (i32.const 0)) (drop (memory.size)))
;; === body
(call $ping) unreachable
