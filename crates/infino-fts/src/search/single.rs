//! One term: its most promising blocks first, then whichever others may still hold one of the best.

use infino_format::{DocSet, FormatError};

use super::conjunction::Checks;
use super::term::TermOp;
use super::topk::TopK;

/// Offers what may be among the best to `top`.
pub(crate) fn top(
    list: &mut TermOp<'_>,
    top: &mut TopK,
    allowed: Option<&DocSet>,
    checks: &mut Checks<'_>,
) -> Result<(), FormatError> {
    let blocks = list.cursor.blocks();
    if blocks == 1 {
        return offer_block(list, 0, top, allowed, checks);
    }
    let mut bounds = list.bounds();
    // So many blocks hold k documents of high score, as a rule.
    let first = (4 + top.k() / 48).min(blocks);
    let mut order: Vec<(f32, u32)> = bounds.iter().copied().zip(0..).collect();
    order.select_nth_unstable_by(first - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    order.truncate(first);
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (bound, block) in order {
        if bound >= top.threshold() {
            offer_block(list, block as usize, top, allowed, checks)?;
        }
        bounds[block as usize] = f32::NEG_INFINITY;
    }
    for (block, bound) in bounds.into_iter().enumerate() {
        if bound >= top.threshold() && bound > f32::NEG_INFINITY {
            offer_block(list, block, top, allowed, checks)?;
        }
    }
    Ok(())
}

fn offer_block(
    list: &mut TermOp<'_>,
    block: usize,
    top: &mut TopK,
    allowed: Option<&DocSet>,
    checks: &mut Checks<'_>,
) -> Result<(), FormatError> {
    list.block = block;
    list.cursor.read(block, list.field)?;
    list.score_block()?;
    for (&doc, &score) in list.cursor.docs().iter().zip(list.block_scores()) {
        if score >= top.threshold()
            && allowed.is_none_or(|allowed| allowed.contains(doc))
            && checks.pass(doc)?
        {
            top.offer(doc, score);
        }
    }
    Ok(())
}
