;; A thousand and one bills of two bytes.
;; ends: parked guest_output_too_large output_documents_limit
;; === body
(local.set $i (i32.const 131072))
(loop $l
  (i32.store (local.get $i) (local.get $key)) (i32.store offset=4 (local.get $i) (i32.const 1))
  (i32.store offset=8 (local.get $i) (i32.const 115)) (i32.store offset=12 (local.get $i) (i32.const 2))
  (local.set $i (i32.add (local.get $i) (i32.const 16)))
  (br_if $l (i32.lt_u (local.get $i) (i32.const 147088))))
(call $emit_list (i32.const 131072) (i32.const 1001))
