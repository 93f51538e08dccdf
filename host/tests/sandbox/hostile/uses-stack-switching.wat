;; Suspends itself.
;; ends: refused module_refused
;; === component
(component
  (core module
    (tag $t) (type $f (func)) (type $c (cont $f)) (func (suspend $t))))
