;; Calls itself with five hundred live locals in each frame.
;; ends: parked guest_stack_overflow stack_limit_bytes
;; === items
(func $r (param $n i64) (result i64)
  (;repeat 500;)(local i64)(;end;)
  (local.set 250 (call $r (i64.add (local.get $n) (i64.const 1))))
  (i64.add (local.get 250) (call $r (local.get 100))))
;; === body
(drop (call $r (i64.const 0))) unreachable
