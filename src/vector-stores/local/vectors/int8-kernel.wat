;; Copies of vectors in 8-bit numbers, and a lower bound of their dot products with a query.
;;
;; All addresses are byte addresses in the memory. A copy takes `stride` bytes: its scale (f32), an upper bound of the length of
;; what its numbers leave over (f32), 8 bytes of nothing, and its numbers (i8), filled up with zeros to a multiple of 16.
(module
  (import "kernel" "memory" (memory 0))

  ;; Writes the copy of the vector (f32) at `$vector`, which has `$count` numbers, a multiple of 16. The bound of what is left over is
  ;; its length, computed in f32, times `$slope`, plus `$offset`.
  (func (export "copyVector")
    (param $vector i32) (param $copy i32) (param $count i32) (param $slope f32) (param $offset f32)
    (local $v i32) (local $end i32) (local $c i32)
    (local $max v128) (local $inverse v128) (local $scale v128) (local $left v128) (local $rest v128)
    (local $n0 v128) (local $n1 v128) (local $n2 v128) (local $n3 v128)
    (local $largest f32)
    (local.set $end (i32.add (local.get $vector) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $v (local.get $vector))
    (loop $scan
      (local.set $max (f32x4.max (local.get $max) (f32x4.abs (v128.load (local.get $v)))))
      (local.set $v (i32.add (local.get $v) (i32.const 16)))
      (br_if $scan (i32.lt_u (local.get $v) (local.get $end))))
    (local.set $largest
      (f32.max
        (f32.max (f32x4.extract_lane 0 (local.get $max)) (f32x4.extract_lane 1 (local.get $max)))
        (f32.max (f32x4.extract_lane 2 (local.get $max)) (f32x4.extract_lane 3 (local.get $max)))))
    ;; Of a vector of zeros, or of numbers too small to be divided by, all numbers are zero.
    (if (f32.gt (local.get $largest) (f32.const 1e-30))
      (then
        (local.set $scale (f32x4.splat (f32.div (local.get $largest) (f32.const 127))))
        (local.set $inverse (f32x4.splat (f32.div (f32.const 127) (local.get $largest))))))
    (local.set $v (local.get $vector))
    (local.set $c (i32.add (local.get $copy) (i32.const 16)))
    (loop $write
      (local.set $n0 (f32x4.nearest (f32x4.mul (v128.load (local.get $v)) (local.get $inverse))))
      (local.set $n1 (f32x4.nearest (f32x4.mul (v128.load offset=16 (local.get $v)) (local.get $inverse))))
      (local.set $n2 (f32x4.nearest (f32x4.mul (v128.load offset=32 (local.get $v)) (local.get $inverse))))
      (local.set $n3 (f32x4.nearest (f32x4.mul (v128.load offset=48 (local.get $v)) (local.get $inverse))))
      (local.set $rest (f32x4.sub (v128.load (local.get $v)) (f32x4.mul (local.get $n0) (local.get $scale))))
      (local.set $left (f32x4.add (local.get $left) (f32x4.mul (local.get $rest) (local.get $rest))))
      (local.set $rest (f32x4.sub (v128.load offset=16 (local.get $v)) (f32x4.mul (local.get $n1) (local.get $scale))))
      (local.set $left (f32x4.add (local.get $left) (f32x4.mul (local.get $rest) (local.get $rest))))
      (local.set $rest (f32x4.sub (v128.load offset=32 (local.get $v)) (f32x4.mul (local.get $n2) (local.get $scale))))
      (local.set $left (f32x4.add (local.get $left) (f32x4.mul (local.get $rest) (local.get $rest))))
      (local.set $rest (f32x4.sub (v128.load offset=48 (local.get $v)) (f32x4.mul (local.get $n3) (local.get $scale))))
      (local.set $left (f32x4.add (local.get $left) (f32x4.mul (local.get $rest) (local.get $rest))))
      (v128.store (local.get $c)
        (i8x16.narrow_i16x8_s
          (i16x8.narrow_i32x4_s
            (i32x4.trunc_sat_f32x4_s (local.get $n0)) (i32x4.trunc_sat_f32x4_s (local.get $n1)))
          (i16x8.narrow_i32x4_s
            (i32x4.trunc_sat_f32x4_s (local.get $n2)) (i32x4.trunc_sat_f32x4_s (local.get $n3)))))
      (local.set $v (i32.add (local.get $v) (i32.const 64)))
      (local.set $c (i32.add (local.get $c) (i32.const 16)))
      (br_if $write (i32.lt_u (local.get $v) (local.get $end))))
    (f32.store (local.get $copy) (f32x4.extract_lane 0 (local.get $scale)))
    (f32.store offset=4 (local.get $copy)
      (f32.add
        (local.get $offset)
        (f32.mul
          (local.get $slope)
          (f32.sqrt
            (f32.add
              (f32.add (f32x4.extract_lane 0 (local.get $left)) (f32x4.extract_lane 1 (local.get $left)))
              (f32.add (f32x4.extract_lane 2 (local.get $left)) (f32x4.extract_lane 3 (local.get $left)))))))))

  ;; For each of `$count` row numbers (u32) at `$rows` writes to `$scores` (f32) the dot product of the query's numbers (i16) with the
  ;; numbers of the row, times the scales, minus `$length` times what the row leaves over.
  (func (export "scoreCopies")
    (param $query i32) (param $copies i32) (param $stride i32) (param $rows i32) (param $count i32) (param $scores i32)
    (param $scale f32) (param $length f32)
    (local $q i32) (local $c i32) (local $row i32) (local $end i32) (local $rowsEnd i32)
    (local $a v128) (local $b v128)
    (local.set $rowsEnd (i32.add (local.get $rows) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $rows) (local.get $rowsEnd)))
        (local.set $row (i32.add (local.get $copies) (i32.mul (i32.load (local.get $rows)) (local.get $stride))))
        (local.set $end (i32.add (local.get $row) (local.get $stride)))
        (local.set $c (i32.add (local.get $row) (i32.const 16)))
        (local.set $q (local.get $query))
        (local.set $a (v128.const i32x4 0 0 0 0))
        (local.set $b (v128.const i32x4 0 0 0 0))
        (block $unrolledDone
          (loop $unrolled
            (br_if $unrolledDone (i32.gt_u (i32.add (local.get $c) (i32.const 64)) (local.get $end)))
            (local.set $a (i32x4.add (local.get $a)
              (i32x4.dot_i16x8_s (v128.load8x8_s (local.get $c)) (v128.load (local.get $q)))))
            (local.set $b (i32x4.add (local.get $b)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=8 (local.get $c)) (v128.load offset=16 (local.get $q)))))
            (local.set $a (i32x4.add (local.get $a)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=16 (local.get $c)) (v128.load offset=32 (local.get $q)))))
            (local.set $b (i32x4.add (local.get $b)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=24 (local.get $c)) (v128.load offset=48 (local.get $q)))))
            (local.set $a (i32x4.add (local.get $a)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=32 (local.get $c)) (v128.load offset=64 (local.get $q)))))
            (local.set $b (i32x4.add (local.get $b)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=40 (local.get $c)) (v128.load offset=80 (local.get $q)))))
            (local.set $a (i32x4.add (local.get $a)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=48 (local.get $c)) (v128.load offset=96 (local.get $q)))))
            (local.set $b (i32x4.add (local.get $b)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=56 (local.get $c)) (v128.load offset=112 (local.get $q)))))
            (local.set $c (i32.add (local.get $c) (i32.const 64)))
            (local.set $q (i32.add (local.get $q) (i32.const 128)))
            (br $unrolled)))
        (block $restDone
          (loop $rest
            (br_if $restDone (i32.ge_u (local.get $c) (local.get $end)))
            (local.set $a (i32x4.add (local.get $a)
              (i32x4.dot_i16x8_s (v128.load8x8_s (local.get $c)) (v128.load (local.get $q)))))
            (local.set $b (i32x4.add (local.get $b)
              (i32x4.dot_i16x8_s (v128.load8x8_s offset=8 (local.get $c)) (v128.load offset=16 (local.get $q)))))
            (local.set $c (i32.add (local.get $c) (i32.const 16)))
            (local.set $q (i32.add (local.get $q) (i32.const 32)))
            (br $rest)))
        (local.set $a (i32x4.add (local.get $a) (local.get $b)))
        (f32.store (local.get $scores)
          (f32.sub
            (f32.mul
              (f32.mul
                (f32.convert_i32_s
                  (i32.add
                    (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
                    (i32.add (i32x4.extract_lane 2 (local.get $a)) (i32x4.extract_lane 3 (local.get $a)))))
                (f32.load (local.get $row)))
              (local.get $scale))
            (f32.mul (local.get $length) (f32.load offset=4 (local.get $row)))))
        (local.set $rows (i32.add (local.get $rows) (i32.const 4)))
        (local.set $scores (i32.add (local.get $scores) (i32.const 4)))
        (br $nextRow)))))
