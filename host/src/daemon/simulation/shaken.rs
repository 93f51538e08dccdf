//! A task that is not always run when it could be: the order in which tasks run comes from the seed.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::chance::Chance;

pub struct Shaken<F> {
    task: Pin<Box<F>>,
    chance: Chance,
}

impl<F> Shaken<F> {
    pub fn new(task: F, chance: Chance) -> Self {
        Self { task: Box::pin(task), chance }
    }
}

impl<F: Future> Future for Shaken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.chance.one_in(4) {
            // At the end of the queue, behind whoever could run as well.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.task.as_mut().poll(context)
    }
}
