;; Writes nine thousand log lines and is done; all but a hundred are dropped.
;; ends: harmless
;; === body
(loop $l
  (call $log (i32.const 1) (local.get $key) (local.get $key_len))
  (local.set $i (i32.add (local.get $i) (i32.const 1)))
  (br_if $l (i32.lt_u (local.get $i) (i32.const 9000))))
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
