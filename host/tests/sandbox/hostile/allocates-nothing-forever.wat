;; Gives the same memory for everything, the document over its key.
;; ends: harmless
;; replace: (local.get $at)) => (i32.const 65536))
;; === body
(call $emit (i32.const 115) (i32.const 2) (i32.const 115) (i32.const 2))
