;; Throws.
;; ends: refused module_refused
;; === component
(component
  (core module
    (tag $e) (func (throw $e))))
