mod commits;
mod model;
mod tails;
